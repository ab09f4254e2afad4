/** Adds a script in the way a strict content security policy allows: with the nonce of the script that asks for it. */
export function loadScript(src: string, nonce = "", integrity = "") {
  const crossOrigin = integrity ? "anonymous" : null;
  document.head.append(Object.assign(document.createElement("script"), { src, async: true, nonce, integrity, crossOrigin }));
}

/** The nonce of the running script; to be asked for while it is first run. */
export const ownNonce = () => (document.currentScript as HTMLScriptElement | null)?.nonce;
