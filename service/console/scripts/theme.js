// Light or dark: as the system says, unless the person says otherwise in this browser.

const KEPT = "theme";

export const theme = {
  apply() {
    const said = localStorage.getItem(KEPT);
    if (said) document.documentElement.dataset.theme = said;
    else delete document.documentElement.dataset.theme;
  },
  isDark() {
    const said = document.documentElement.dataset.theme;
    return said ? said === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  },
  turn() {
    localStorage.setItem(KEPT, this.isDark() ? "light" : "dark");
    this.apply();
  },
};
