#!/usr/bin/env node
import { endOnUncaught, main } from '../dist/main.js';

const args = process.argv.slice(2);
endOnUncaught(args);
process.exitCode = await main(args);
