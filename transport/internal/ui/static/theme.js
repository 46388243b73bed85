// Runs before the page is painted, so that a theme that was chosen does not flash.
try {
  const theme = localStorage.getItem('octostore.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch { /* a browser that keeps nothing follows the system */ }
