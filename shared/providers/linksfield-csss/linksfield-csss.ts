import { csssCallbackVariants } from '../../signing/index.ts';
import type { Provider } from '../provider.ts';
import { linksfieldCsssCallbacks } from './callback-scheme.ts';
import { csssId } from './callback-wire.ts';
import { openCsssClient } from './linksfield-csss-client.ts';
import {
  type CsssSettings,
  csssOrderPlanSchema,
  csssOtaPlanSchema,
  csssRenewPlanSchema,
  csssSettingsSchema,
} from './plans.ts';
import { csssProfile, csssSimsPerCall } from './profile.ts';

/** Linksfield's older API. Source: protocols/linksfield.md, sections 1 to 4; seeds 000 to 003. */
export const linksfieldCsss: Provider<CsssSettings> = {
  id: csssId,
  callbacks: linksfieldCsssCallbacks,
  callbackVariants: csssCallbackVariants,
  profile: csssProfile,
  simsPerCall: { order: csssSimsPerCall },
  settingsSchema: csssSettingsSchema,
  planSchemas: { renew: csssRenewPlanSchema, order: csssOrderPlanSchema, 'order-ota': csssOtaPlanSchema },
  createClient: (deps) => openCsssClient(deps),
};
