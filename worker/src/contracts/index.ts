import { LIFECYCLE_TRAITS, type ContractName, type Lifecycle } from '@panal/protocol';
import { COMMAND } from './command/command.js';
import type { Contract } from './contract.js';
import { HANDLER } from './handler/handler.js';

export type { CommandContract, Contract, Input, ServerContract, Session, Target } from './contract.js';

const CONTRACTS: Readonly<Record<ContractName, Contract>> = { command: COMMAND, handler: HANDLER };

/** The contract of functions of this lifecycle. */
export const contractOf = (lifecycle: Lifecycle): Contract => CONTRACTS[LIFECYCLE_TRAITS[lifecycle].contract];
