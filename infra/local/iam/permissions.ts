import { ACCOUNT_ID } from '../environment.ts';
import { type ApiCall, decide, parsePolicy, type Statement } from './policy.ts';

/** A call that policies deny, with AWS's message. */
export class AccessDenied extends Error {
  override readonly name = 'AccessDenied';
}

/** The caller of a request to a local service, and the requested action. */
export type ServiceCall = Omit<ApiCall, 'principal'> & {
  /** Access key id of the request's signature; undefined without one. */
  readonly accessKeyId: string | undefined;
};

/** @throws AccessDenied when the policies do not permit the call */
export type Authorize = (call: ServiceCall) => void;

export interface PermissionsOptions {
  /** Receives every call of a role or user with policies. */
  readonly onCall?: ((call: ApiCall) => void) | undefined;
  /** Receives every denied call of a role of the template. */
  readonly onDenied?: ((error: AccessDenied) => void) | undefined;
}

/** The loopback interface counts as TLS, because nobody outside can read it. */
const REQUEST_CONTEXT = {
  'aws:SecureTransport': 'true',
  's3:TlsVersion': '1.3',
  'aws:SourceAccount': ACCOUNT_ID,
};

/**
 * The identity policies and resource policies of the local account. The access key id of a role or
 * user is its name. Every other key belongs to the administrator, whom only an explicit denial
 * stops.
 */
export class Permissions {
  readonly #identities = new Map<string, Statement[]>();
  readonly #trust = new Map<string, readonly Statement[]>();
  readonly #resources: Statement[] = [];
  readonly #options: PermissionsOptions;

  constructor(options: PermissionsOptions = {}) {
    this.#options = options;
  }

  /**
   * Adds a role without permissions.
   * @param trustPolicy resolved policy document
   */
  addRole(name: string, trustPolicy: unknown): void {
    this.#identities.set(name, []);
    this.#trust.set(name, parsePolicy(trustPolicy, name));
  }

  /**
   * Adds statements to a role, or a new user with them.
   * @param document resolved policy document
   */
  permit(name: string, document: unknown): void {
    const statements = parsePolicy(document, name);
    this.#identities.set(name, [...(this.#identities.get(name) ?? []), ...statements]);
  }

  /** Adds the policy of a bucket or queue. */
  addResourcePolicy(document: unknown, at: string): void {
    this.#resources.push(...parsePolicy(document, at));
  }

  /** All statements of the policies of a role or user. */
  statementsOf(name: string): readonly Statement[] {
    return this.#identities.get(name) ?? [];
  }

  /** Names of the roles of the template. */
  get roles(): string[] {
    return [...this.#trust.keys()];
  }

  /** @throws AccessDenied when the role's trust policy does not let the service assume it */
  requireTrust(role: string, service: string): void {
    const call: ApiCall = {
      principal: service,
      action: 'sts:AssumeRole',
      resource: '*',
      context: REQUEST_CONTEXT,
    };
    if (decide(this.#trust.get(role) ?? [], call) === 'allowed') return;
    throw new AccessDenied(`${service} is not authorized to assume the role ${role}`);
  }

  readonly authorize: Authorize = ({ accessKeyId = '', ...request }) => {
    const context = { ...REQUEST_CONTEXT, ...request.context };
    const call: ApiCall = { ...request, principal: accessKeyId, context };
    const identity = this.#identities.get(accessKeyId);
    if (identity !== undefined) this.#options.onCall?.(call);
    const byResource = decide(this.#resources, call);
    const byIdentity = identity === undefined ? 'allowed' : decide(identity, call);
    const decisions = [byResource, byIdentity];
    if (decisions.includes('allowed') && !decisions.includes('denied')) return;
    const reason = decisions.includes('denied')
      ? `of an explicit deny in ${byResource === 'denied' ? 'a resource-based' : 'an identity-based'} policy`
      : `no identity-based policy allows the ${call.action} action`;
    const error = new AccessDenied(
      `${accessKeyId} is not authorized to perform: ${call.action} on resource: ${call.resource} because ${reason}`,
    );
    if (this.#trust.has(accessKeyId)) this.#options.onDenied?.(error);
    throw error;
  };
}

/** The access key id in an `authorization` header of signature version 4. */
export function accessKeyOf(authorization: string | undefined): string | undefined {
  return /Credential=([^/,\s]+)\//.exec(authorization ?? '')?.[1];
}
