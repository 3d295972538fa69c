from .answers import Distance as Distance
from .answers import Explained as Explained
from .answers import Predicted as Predicted
from .answers import PredictedLabels as PredictedLabels
from .async_client import AsyncClient as AsyncClient
from .channel import ServerError as ServerError
from .client import Client as Client
