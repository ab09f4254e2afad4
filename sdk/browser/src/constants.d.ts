/** Filled in by build.mjs. */
declare const VERSION: string;

/** Add-on name to the subresource integrity of its file; known to the loader, which hands it to the core. */
declare const ADDON_INTEGRITY: Record<string, string>;
