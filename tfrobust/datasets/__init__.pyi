from .loading import load as load
from .names import AUGMENTATIONS as AUGMENTATIONS
from .names import CATALOG as CATALOG
from .names import EMBEDDED as EMBEDDED
from .names import check_name as check_name
from .names import validate as validate
from .source import DatasetInfo as DatasetInfo
from .source import DataSource as DataSource
