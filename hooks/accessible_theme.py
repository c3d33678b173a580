"""Mend what the theme's own templates lack for screen readers."""

SEARCH = 'class="md-search" data-md-component="search" role="dialog"'


def on_post_page(output: str, **_: object) -> str:
    return output.replace(SEARCH, f'{SEARCH} aria-label="Search"')
