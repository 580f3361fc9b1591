// SPDX-License-Identifier: Apache-2.0
// The theme makes a landmark of each block's "copy" button and gives none of them a name.
"use strict";
let named = 0;
function giveNames() {
  for (const nav of document.querySelectorAll("nav.md-code__nav:not([aria-label])")) nav.setAttribute("aria-label", `Example ${++named}`);
}
new MutationObserver(giveNames).observe(document.documentElement, { childList: true, subtree: true });
giveNames();
