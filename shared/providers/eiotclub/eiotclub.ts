import { eiotclubCallbackVariants } from '../../signing/index.ts';
import type { Provider } from '../provider.ts';
import { callbacks } from './eiotclub-callbacks.ts';
import { createClient } from './eiotclub-client.ts';
import { type EiotclubSettings, planSchema, settingsSchema } from './plans.ts';
import { profile } from './profile.ts';

/** EIOTCLUB OpenAPI v3. Source: protocols/eiotclub.md and seed 004. */
export const eiotclub: Provider<EiotclubSettings> = {
  id: 'eiotclub',
  callbacks,
  callbackVariants: eiotclubCallbackVariants,
  profile,
  // Its orders name one ICCID. Source: protocols/eiotclub.md, section on orderPackage.
  simsPerCall: {},
  settingsSchema,
  planSchemas: { renew: planSchema, order: planSchema, 'order-ota': null },
  createClient,
};
