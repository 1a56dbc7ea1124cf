import type { SessionEvent } from '../accounting/event.ts';
import type { Config } from '../config/schema.ts';
import type { Failure, PortalResult, Request } from '../policy/types.ts';
import { checkPolicy } from './check-policy.ts';
import { secureContextOf } from './credentials.ts';
import { Line, type OnMet } from './line.ts';
import { type Reported, report, type Validated, type Validation, validate } from './session-calls.ts';

/**
 * The portal's calls, over one connection that is made with the first and kept. None of them throws for anything that the portal or
 * the network does.
 */
export interface PortalCalls {
  /**
   * Whether this request may connect.
   * @param budget milliseconds left for it.
   * @param nominal milliseconds that it would have on a machine with time to spare.
   */
  checkPolicy(request: Request, budget: number, nominal: number): Promise<PortalResult>;
  /** @param id the event's, the same over every retry. */
  report(id: string, event: SessionEvent): Promise<Reported>;
  validate(session: Validation): Promise<Validated>;
  /** Whether there is a connection already, as far as anybody has noticed. */
  readonly isConnected: boolean;
  /** Whether it has just brought an answer. */
  readonly isProven: boolean;
  close(): void;
}

/**
 * @param onMet is told what each connection tells of the portal.
 * @throws nothing: credentials that cannot be used are a failure of each call.
 */
export function portalCalls(config: Config, onMet?: OnMet): PortalCalls {
  const { tls, address } = config.portal;
  const secureContext = secureContextOf(tls);
  if (secureContext !== null && 'counts' in secureContext) return unable(secureContext);
  const line = new Line({ secureContext, serverName: tls.server_name, addresses: address, onMet });
  return {
    checkPolicy: (request, budget, nominal) => checkPolicy(line, config, request, budget, nominal),
    report: (id, event) => report(line, config, id, event),
    validate: (session) => validate(line, config, session),
    get isConnected() {
      return line.stands;
    },
    get isProven() {
      return line.isProven;
    },
    close: () => line.close(),
  };
}

/** Our own files are at fault: no call can be made. */
function unable(failure: Failure): PortalCalls {
  return {
    checkPolicy: async () => ({ failure }),
    report: async () => ({ kind: 'failed', failure, reached: false }),
    validate: async () => ({ failure, reached: false }),
    isConnected: false,
    isProven: false,
    close: () => {},
  };
}
