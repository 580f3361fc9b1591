# SPDX-License-Identifier: Apache-2.0
"""A hook of MkDocs: what the theme and Markdown leave out of the HTML for people who have it read to them."""


def on_post_page(output: str, **_) -> str:
    for what, instead in (
            ('data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'),
            ("<th></th>", "<td></td>"),  # no head of a column
            ("<p><img ", '<p tabindex="0"><img '),  # scrolls on a narrow screen, also by keys
    ):
        output = output.replace(what, instead)
    return output
