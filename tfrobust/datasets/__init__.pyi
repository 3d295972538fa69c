from .concepts import Concepts as Concepts
from .concepts import load_concepts as load_concepts
from .info import DatasetInfo as DatasetInfo
from .loading import load as load
from .planted import Planted as Planted
from .planted import plant as plant
from .sample import Sample as Sample
from .source import DataSource as DataSource
