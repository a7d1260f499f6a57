// The one place where HTML of the server becomes elements. The server rendered and escaped it; the policy keeps every
// other place from doing the same by accident.

const policy = window.trustedTypes?.createPolicy("sessionfs", { createHTML: (html) => html });

/** Puts what the server rendered into `element`. */
export function setRendered(element, html) {
  element.innerHTML = policy ? policy.createHTML(html) : html;
  return element;
}
