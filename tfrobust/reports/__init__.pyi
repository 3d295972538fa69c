from .animation import animate as animate
from .comparison import comparison_html as comparison_html
from .figures import explanation_png as explanation_png
from .figures import overview_png as overview_png
from .report import report_page as report_page
from .slider import slider_page as slider_page
