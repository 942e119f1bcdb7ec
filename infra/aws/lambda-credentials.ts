import { fromEnv } from '@aws-sdk/credential-provider-env';

/** Stands in for the SDK's default credential chain inside the bundles (bundles.ts). */
export const defaultProvider = () => fromEnv();
