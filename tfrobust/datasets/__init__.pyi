from .info import DatasetInfo as DatasetInfo
from .loading import load as load
from .sample import Sample as Sample
from .source import DataSource as DataSource
