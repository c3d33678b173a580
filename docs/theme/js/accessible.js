/* Mend what the theme's scripts add: a landmark for each code block is noise
   for screen readers, and a formula or table wider than the page must be
   reachable by keyboard to be scrolled. */
function mend() {
  for (const nav of document.querySelectorAll(".md-code__nav:not([role])")) {
    nav.setAttribute("role", "none");
  }
  for (const wide of document.querySelectorAll("div.arithmatex, .katex-display, .md-typeset__scrollwrap")) {
    wide.toggleAttribute("tabindex", false);
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
}

addEventListener("resize", mend);
addEventListener("toggle", mend, { capture: true });
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
