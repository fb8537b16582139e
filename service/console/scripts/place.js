// Where this console is: its tenant, the tenant's sign-in page, and the paths of its pages.

const said = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export const tenant = said("tenant");
export const signIn = said("sign-in");
export const client = said("client");
export const base = `/console/${tenant}/`;
export const callback = `${location.origin}${base}signed-in`;

/** The path of a page: `to("devices", id)`; each part is escaped. */
export function to(...parts) {
  return base + parts.map(encodeURIComponent).join("/");
}

/** A path with a query; what is empty is left out. */
export function asking(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const text = new URLSearchParams(given).toString();
  return text ? `${path}?${text}` : path;
}

/** The parts of this page's path behind the tenant. */
export function parts() {
  return location.pathname.slice(base.length).split("/").filter(Boolean).map(decoded);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
