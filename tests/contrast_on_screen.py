"""How far words stand out from what is behind them, asked of a page as a browser shows it (WCAG 2, 1.4.3)."""

from __future__ import annotations

# Relative luminance by WCAG's formula; `ground` is the nearest background that is not transparent.
COLOURS = """
  const channel = (v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const ground = (e) => { while (e) { const c = getComputedStyle(e).backgroundColor;
    if (c !== 'rgba(0, 0, 0, 0)') return parts(c); e = e.parentElement; } return [255, 255, 255]; };
  const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  const words = (told) => [...document.querySelectorAll(told)]
    .filter((e) => (e.textContent.trim() || e.value) && e.offsetParent)
    .map((e) => [ratio(light(parts(getComputedStyle(e).color)), light(ground(e))), e.outerHTML.slice(0, 80)]);
  const faint = (found) => found.filter(([contrast]) => contrast < 4.5);
"""


def contrast(told: str) -> str:
    """A function for `evaluate`: how many elements have words, and those whose contrast is under 4.5."""
    return f"() => {{ {COLOURS} const found = words({told!r}); return [found.length, faint(found)]; }}"
