from .animation import animation as animation
from .comparison_page import comparison_html as comparison_html
from .figures import explanation_picture as explanation_picture
from .figures import grid as grid
from .slider import slider_page as slider_page
