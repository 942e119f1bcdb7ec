import type { ProviderId } from '../core/subject.ts';
import { eiotclub } from './eiotclub/eiotclub.ts';
import { callbacks as eiotclubCallbacks } from './eiotclub/eiotclub-callbacks.ts';
import { linksfieldCsssCallbacks } from './linksfield-csss/callback-scheme.ts';
import { linksfieldCsss } from './linksfield-csss/linksfield-csss.ts';
import { linksfieldCubeCallbacks } from './linksfield-cube/callback-scheme.ts';
import { linksfieldCube } from './linksfield-cube/linksfield-cube.ts';
import type { CallbackSide, Provider } from './provider.ts';

/** Every provider, whole. Whoever imports this gets the HTTP clients too. */
export const providers: readonly Provider[] = [linksfieldCsss, linksfieldCube, eiotclub];

/**
 * The receiving halves alone. Named by their own modules, so that a bundle which imports only this list leaves
 * clients and undici out (test/unit/providers/registry.test.ts holds that).
 */
export const callbackSides: readonly CallbackSide[] = [
  linksfieldCsssCallbacks,
  linksfieldCubeCallbacks,
  eiotclubCallbacks,
];

/** The provider of this id; null for an id that no provider has. */
export function findProvider(id: ProviderId): Provider | null {
  return providers.find((provider) => provider.id === id) ?? null;
}
