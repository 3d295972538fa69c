from .loading import load as load
from .source import DatasetInfo as DatasetInfo
from .source import DataSource as DataSource
