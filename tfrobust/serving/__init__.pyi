from .client import Client as Client
from .client import Distance as Distance
from .client import Explained as Explained
from .client import Predicted as Predicted
from .client import ServerError as ServerError
