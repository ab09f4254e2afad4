/** `funnelwatch-X.Y.Z.js`: takes over the snippet's stub and becomes `window.funnelwatch`. */
import { createApi } from "./api";
import { loadScript } from "./script";
import type { Stub } from "./stub";

const page = window as Window & { funnelwatch?: Stub };
const stub = page.funnelwatch ?? {};
const script = document.currentScript as HTMLScriptElement;

const api = createApi((name) => {
  loadScript(script.src.replace(/js$/, name + ".js"), script.nonce, stub.a?.[name]);
}, stub);
page.funnelwatch = api as unknown as Stub;
if (stub.c) api.init(stub.c);
