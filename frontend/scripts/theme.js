// button[data-theme-switch]: system → light → dark. The server renders the theme that the cookie says: nothing flashes.
const THEMES = ["system", "light", "dark"];
const YEAR = 31_536_000; // seconds

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-switch]");
  if (!button) return;
  const root = document.documentElement;
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
  root.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR}; samesite=lax${secure}`;
  button.ariaLabel = button.title = `Theme: ${theme}`;
  document.dispatchEvent(new CustomEvent("theme"));
});

// Charts are painted, so they must be told when the system changes its mind too.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new CustomEvent("theme"));
});
