/* What a server cannot do: theme, keys, the "go to" dialog, toasts. Pages read and act without this file. */
(function () {
  'use strict';
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;

  /* theme */
  const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const announceTheme = () => document.dispatchEvent(new Event('fw:theme'));
  function setTheme(theme) {
    root.dataset.theme = theme;
    try { localStorage.setItem('fw-theme', theme); } catch (error) { /* storage blocked: holds for this page */ }
    announceTheme();
  }
  const flipTheme = () => setTheme(isDark() ? 'light' : 'dark');
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', announceTheme);

  /* toast; a server sends one with HX-Trigger: {"toast": "…"} */
  let toastTimer;
  function toast(message) {
    const box = $('.toast');
    box.textContent = message;
    box.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { box.hidden = true; }, 6000);
  }
  document.addEventListener('toast', event => toast(event.detail.value));
  document.addEventListener('htmx:sendError', () => toast('No connection. The page tries again by itself.'));
  document.addEventListener('htmx:responseError', event => {
    if (event.detail.requestConfig.verb !== 'get') toast(event.detail.xhr.getResponseHeader('X-Reason') || 'That did not work. Reload the page and try again.');
  });

  /* dialogs and the command palette */
  function openDialog(id) {
    const dialog = document.getElementById(id);
    if (!dialog || dialog.open) return;
    dialog.showModal();
    const input = $('input', dialog);
    if (input) { input.value = ''; filterPlaces(input); input.focus(); }
  }
  const places = () => $$('#cmdlist li');
  function select(chosen) {
    places().forEach(item => {
      item.setAttribute('aria-selected', String(item === chosen));
      $('a', item).classList.toggle('on', item === chosen);
    });
    if (chosen) chosen.scrollIntoView({ block: 'nearest' });
  }
  function filterPlaces(input) {
    const wanted = input.value.toLowerCase();
    places().forEach(item => { item.hidden = !item.textContent.toLowerCase().includes(wanted); });
    select(places().find(item => !item.hidden));
  }
  const palette = $('#cmd input');
  if (palette) {
    palette.addEventListener('input', () => filterPlaces(palette));
    palette.addEventListener('keydown', event => {
      const shown = places().filter(item => !item.hidden);
      const at = shown.findIndex(item => item.getAttribute('aria-selected') === 'true');
      if (at < 0) return;
      if (event.key === 'Enter') location.href = $('a', shown[at]).href;
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        select(shown[(at + (event.key === 'ArrowDown' ? 1 : -1) + shown.length) % shown.length]);
      }
    });
  }

  document.addEventListener('click', event => {
    const opener = event.target.closest('[data-open]');
    if (opener) openDialog(opener.dataset.open);
    if (event.target.closest('[data-theme-toggle]')) flipTheme();
    if (event.target.matches('dialog')) event.target.close();
    const copy = event.target.closest('[data-copy]');
    if (copy) navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent).then(() => toast('Copied.'), () => toast('Select the text and copy it by hand.'));
  });
  // A year that is being typed is a date of the first century for a moment: not in range, not sent.
  document.addEventListener('change', event => { if (event.target.matches('[data-submit]') && event.target.checkValidity()) event.target.form.requestSubmit(); });

  /* a swap keeps what the person is using: drawn charts, half-written notes, opened details */
  if (window.Idiomorph) {
    Idiomorph.defaults.callbacks.beforeNodeMorphed = old => !(old instanceof Element && old.matches('[data-chart],[data-keep]'));
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === 'open' && node.matches('[data-open-kept],.switch'));
  }
  document.addEventListener('htmx:afterRequest', event => { if (event.detail.successful && event.target.matches('[data-reset]')) event.target.reset(); });

  /* keys */
  let leader = 0;
  document.addEventListener('keydown', event => {
    const key = event.key.toLowerCase();
    if ((event.metaKey || event.ctrlKey) && key === 'k') { event.preventDefault(); openDialog('cmd'); return; }
    if (event.target.closest('input,textarea,select,dialog') || event.metaKey || event.ctrlKey || event.altKey) return;
    if (leader && Date.now() - leader < 1200) {
      leader = 0;
      const place = $(`#cmdlist [data-go="${CSS.escape(key)}"]`);
      if (place) location.href = place.href;
      return;
    }
    if (key === 'g') leader = Date.now();
    else if (key === 't') flipTheme();
    else if (key === '?') openDialog('shortcuts');
    else if (key === '/') { const field = $('[data-filter]'); if (field) { event.preventDefault(); field.focus(); } }
    else if (key === 'j' || key === 'k') moveRow(key === 'j' ? 1 : -1);
    else pressKey(key, event);
  });
  function moveRow(by) {
    const rows = $$('[data-row]');
    if (rows.length) rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(document.activeElement) + by))].focus();
  }
  function pressKey(key, event) {
    const target = $(`[data-key="${CSS.escape(key)}"]`);
    if (!target || target.disabled) return;
    event.preventDefault();
    if (target.matches('textarea')) target.focus();
    else target.click();
  }

  /* sticky summary once the headline has scrolled away */
  const mini = $('.mini'), headline = $('.headline');
  if (mini && headline) {
    new IntersectionObserver(([entry]) => {
      mini.inert = !mini.classList.toggle('on', !entry.isIntersecting && entry.boundingClientRect.top < 0);
    }, { rootMargin: '-48px 0px 0px' }).observe(headline);
  }

  /* on a phone the strip of changes starts at "now" */
  const toNow = () => $$('.strip').forEach(strip => { strip.scrollLeft = strip.scrollWidth; });
  toNow();
  addEventListener('load', toNow);
})();
