export const withoutQuery = (url: string) => url.split(/[?#]/)[0]!;

/** How long the browser tried, as far as it tells: failed cross-origin loads are timed since 2023. */
export function timing(url: string): { duration_ms?: number } {
  const entry = performance.getEntriesByName(url, "resource").pop();
  return entry ? { duration_ms: Math.round(entry.duration) } : {};
}
