from .parity import Parity as Parity
from .parity import ParityError as ParityError
from .saved_model import export as export
