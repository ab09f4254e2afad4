/* Runs before the first paint: the chosen theme must not flash. `?theme=dark` wins over the stored choice. */
(function () {
  'use strict';
  let stored = null;
  try { stored = localStorage.getItem('fw-theme'); } catch (error) { /* storage blocked: the system's theme holds */ }
  const theme = new URLSearchParams(location.search).get('theme') || stored;
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
  document.documentElement.classList.add('has-js');
})();
