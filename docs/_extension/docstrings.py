"""The library's docstrings, Google sections with a little Markdown, as reStructuredText."""

import ast
import functools
import inspect
import re
import textwrap

from docs._extension import api

_SECTION = re.compile(
    r"\s*(Args|Attributes|Call arguments|Example|Input shape|Output shape|Parametrisations|Raises"
    r"|Returns|Warns|Yields):$"
)
_FENCE = re.compile(r"\s*```(\w*)")


@functools.cache
def _public():
    """Public name -> where it is documented, for names that stand for one object only."""
    found = {}
    for full in api.homes().values():
        found.setdefault(full.rpartition(".")[2], []).append(full)
    return {name: full for name, (full, *others) in found.items() if not others}


def _code(text):
    """What stood between backticks: a link where it names something public."""
    words = text.strip()
    full = _public().get(words.removesuffix("()").rpartition(".")[2])
    if full and (words == full or words == full.rpartition(".")[2]):
        return f":py:obj:`{words} <{full}>`"
    return f"``{text}``"


def _prose(text):
    """A line outside backticks: what reStructuredText would take for markup is escaped."""
    text = re.sub(r"[\\*|]", r"\\\g<0>", text)
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    text = re.sub(r"\bdocs/([\w/]+)\.md", r":doc:`/\1`", text)
    return re.sub(r"\barXiv (\d{4}\.\d{5})", r"`\g<0> <https://arxiv.org/abs/\1>`__", text)


def _line(text):
    """A line with its code between backticks."""
    pieces = re.split(r"`+([^`]+)`+", text)
    result = _prose(pieces[0])
    for code, prose in zip(pieces[1::2], pieces[2::2], strict=True):
        if result[-1:].isalnum():
            result += "\\ "
        result += _code(code) + ("\\ " if prose[:1].isalnum() else "") + _prose(prose)
    return result


def _indent(text):
    return len(text) - len(text.lstrip())


def _paragraphs(lines):
    """Lines in pieces that are treated alike: (kind, lines)."""
    kind, piece = "text", []
    for line in lines:
        fence = _FENCE.match(line)
        if kind == "fence" or fence:
            if kind != "fence":
                yield kind, piece
                kind, piece = "fence", []
            piece.append(line)
            if len(piece) > 1 and fence:
                yield kind, piece
                kind, piece = "text", []
            continue
        if not line.strip():
            new = "blank"
        elif line.lstrip().startswith(">>> ") or (kind == "doctest"):
            new = "doctest"
        elif line.lstrip().startswith("|") and line.rstrip().endswith("|"):
            new = "table"
        else:
            new = "text"
        if new != kind:
            yield kind, piece
            kind, piece = new, []
        piece.append(line)
    yield kind, piece


def _literal(lines, language, indent):
    """A block of code; `lines` keep their indentation."""
    pad = " " * indent
    least = min(_indent(line) for line in lines if line.strip())
    body = [f"{pad}    {line[least:]}" if line.strip() else "" for line in lines]
    return ["", f"{pad}.. code-block:: {language}", "", *body, ""]


def _is_drawing(piece, above):
    """Whether a paragraph is indented under one that does not announce a section or a list."""
    indents = [_indent(line) for line in piece]
    return (
        above is not None
        and min(indents) >= _indent(above) + 4
        and not _SECTION.match(above)
        and not re.match(r"\s*[\w*`, ]+: |\s*- ", above)
        and not re.match(r"\s*- ", piece[0])
    )


def _joined(piece):
    """Lines, of which a list of names that goes over several is one."""
    result = []
    for line in piece:
        if result and re.fullmatch(r"\s*(\w+, )*\w+,", result[-1]):
            result[-1] += " " + line.lstrip()
        else:
            result.append(line)
    return result


def _text(piece):
    """Lines of prose, with a blank line before a list."""
    result = []
    for line in _joined(piece):
        above = result[-1] if result else ""
        starts_list = re.match(r"\s*- ", line) and not re.match(r"\s*- ", above)
        if starts_list and above.strip() and _indent(above) <= _indent(line):
            result.append("")
        result.append(_line(line))
    return result


def to_rest(lines):
    """Docstring lines as reStructuredText for Napoleon."""
    result, above = [], None
    for kind, piece in _paragraphs(lines):
        if not piece:
            continue
        if kind == "fence":
            language = _FENCE.match(piece[0])[1] or "text"
            result += _literal(piece[1:-1] or [""], language, _indent(piece[0]))
        elif kind == "table":
            result += _literal(piece, "text", _indent(piece[0]))
        elif kind == "doctest":
            result += ["", *piece, ""]
        elif kind == "text" and _is_drawing(piece, above):
            result += _literal(piece, "text", _indent(above))
        elif kind == "text":
            result += _text(piece)
        else:
            result += piece
        if kind == "text" and not _is_drawing(piece, above):
            # The paragraph's own indentation is that of its first line.
            above = piece[-1] if _SECTION.match(piece[-1]) else piece[0]
    return result


def process(app, what, name, obj, options, lines):
    """Sphinx's event: change the lines in place."""
    lines[:] = to_rest(lines)


def signature(app, what, name, obj, options, text, returns):
    """Sphinx's event: the arguments as they are written, names such as `ArrayLike` not expanded."""
    whole = f"{text}{returns}"
    # Keras' layers hide theirs behind `*args`.
    if text is None or ("Buffer" not in whole and "*args" not in whole):
        return None
    function = inspect.unwrap(obj.__init__ if inspect.isclass(obj) else obj)
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError):  # made by `dataclasses`
        return _short(text), _short(returns or "")
    arguments = node.args
    arguments.args = [one for one in arguments.args if one.arg != "self"]
    result = ast.unparse(node.returns) if node.returns and not inspect.isclass(obj) else ""
    return f"({ast.unparse(arguments)})", result


def _short(text):
    """A signature without what NumPy's `ArrayLike` stands for."""
    long = r"(Union\[)?\w*\.?_?\w*Buffer.*?complex \| bytes \| str\](, )?(\])?"
    return re.sub(long, "ArrayLike", text)
