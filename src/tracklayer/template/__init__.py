"""The template language: Handlebars as people know it, JSON-safe by construction. docs/templates.md is its manual."""

from tracklayer.template.compiler import Template, compile_template
from tracklayer.template.contract import Escape, Limits, OnMissing, PathUse, Rendered
from tracklayer.template.errors import MissingPaths, RenderError, TemplateError

__all__ = [
    "Escape",
    "Limits",
    "MissingPaths",
    "OnMissing",
    "PathUse",
    "RenderError",
    "Rendered",
    "Template",
    "TemplateError",
    "compile_template",
]
