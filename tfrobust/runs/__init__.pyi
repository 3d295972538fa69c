from . import recipes as recipes
from .recipes import Recipe as Recipe
from .stages import Summary as Summary
from .stages import run as run
