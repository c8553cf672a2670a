"""What this site adds to Sphinx: pages written at build time, links and docstrings in Markdown."""

from docs._extension import api, docstrings, links, zoo


def setup(app):
    """Connect the parts; Sphinx calls this."""
    from docs._extension import mathml

    app.connect("builder-inited", lambda app: api.write(app.srcdir))
    app.connect("builder-inited", lambda app: zoo.write(app.srcdir))
    app.connect("source-read", links.resolve)
    # Before Napoleon reads the sections.
    app.connect("autodoc-process-docstring", docstrings.process, priority=100)
    app.connect("autodoc-process-signature", docstrings.signature)
    app.add_html_math_renderer("mathml", (mathml.visit_inline, None), (mathml.visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
