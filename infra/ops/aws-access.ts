import { OpsError } from './failure.ts';

/** Where a service of AWS is asked. */
export interface AwsAccess {
  /** Null takes the one of the environment or the profile. */
  readonly region: string | null;
  /** Address of an engine that stands in for AWS; null is AWS itself. */
  readonly endpoint: string | null;
}

const connectionTimeoutMs = 3_000;
const requestTimeoutMs = 10_000;
/** An operator waits in front of it, so one more try is enough. */
const triesMax = 2;

/** Options of an SDK client that an operator's command uses. */
export function clientOptions({ region, endpoint }: AwsAccess) {
  const credentials = credentialsFor(endpoint);
  return {
    maxAttempts: triesMax,
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
    },
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
    ...(credentials === null ? {} : { credentials }),
  };
}

/** An engine on this machine checks no credentials, but the SDK wants some; anywhere else the profile's are taken. */
export function credentialsFor(
  endpoint: string | null,
): { readonly accessKeyId: string; readonly secretAccessKey: string } | null {
  if (endpoint === null) return null;
  const { hostname } = new URL(endpoint);
  const isLocal = hostname === '127.0.0.1' || hostname === 'localhost' || hostname === '[::1]';
  return isLocal ? { accessKeyId: 'local', secretAccessKey: 'local' } : null;
}

/**
 * What AWS refused, in one line and with what to do, without its echo of what was sent. `doing` says what was tried,
 * `right` which permission it takes.
 */
export function awsFailure(error: unknown, doing: string, right: string): OpsError {
  if (error instanceof OpsError) return error;
  const name = error instanceof Error ? error.name : 'unknown error';
  return new OpsError(
    'unreachable',
    `${doing}: ${causeOf(name, error instanceof Error ? error.message : '', right)}`,
    {
      cause: error,
    },
  );
}

/** Source: AWS Query and JSON APIs, "Common errors"; the SDK's own errors are told by name or text. */
function causeOf(name: string, message: string, right: string): string {
  if (/region is missing/i.test(message))
    return 'no region: name it with --region, AWS_REGION or the profile, or pin it in the stage file (aws.region)';
  if (/^(CredentialsProviderError|TokenProviderError)$/.test(name))
    return 'no credentials were found: sign in, or choose a profile with AWS_PROFILE';
  if (/^(ExpiredToken|RequestExpired)/.test(name)) return `the credentials ran out (${name}): sign in again`;
  if (/^(InvalidClientTokenId|UnrecognizedClient|InvalidSignature|SignatureDoesNotMatch)/.test(name))
    return `the credentials are not accepted (${name}): check the profile and the clock of this machine`;
  if (/^(AccessDenied|AuthorizationError|NotAuthorized)/.test(name))
    return `these credentials lack ${right} (${name}): ask for it, or choose another profile`;
  return `it can't be reached (${name}): check the region and the network`;
}
