import { cubeNotificationVariants } from '../../signing/index.ts';
import type { Provider } from '../provider.ts';
import { linksfieldCubeCallbacks } from './callback-scheme.ts';
import { cubeId } from './callback-wire.ts';
import { openCubeClient } from './linksfield-cube-client.ts';
import { type CubeSettings, cubeOrderPlanSchema, cubeRenewPlanSchema, cubeSettingsSchema } from './plans.ts';
import { cubeProfile, cubeSimsPerCall } from './profile.ts';

/** Linksfield Cube v4. Source: protocols/linksfield.md, sections 5 and 6. */
export const linksfieldCube: Provider<CubeSettings> = {
  id: cubeId,
  callbacks: linksfieldCubeCallbacks,
  callbackVariants: cubeNotificationVariants,
  profile: cubeProfile,
  simsPerCall: { renew: cubeSimsPerCall },
  settingsSchema: cubeSettingsSchema,
  planSchemas: { renew: cubeRenewPlanSchema, order: cubeOrderPlanSchema, 'order-ota': null },
  createClient: (deps) => openCubeClient(deps),
};
