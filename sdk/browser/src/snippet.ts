/** The inline script of a shop's page: remembers calls and errors, then fetches the loader without blocking anything. */
import { loadScript, ownNonce } from "./script";
import { installStub } from "./stub";

installStub();
loadScript("__FUNNELWATCH_LOADER__", ownNonce());
