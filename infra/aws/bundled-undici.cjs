/*
 * The same undici by another door, inside the bundles: its index takes fetch, WebSocket, mocks and caches along, of
 * which nothing is used. Source: undici 8, index.js, which puts the methods of lib/api on the dispatcher.
 */
const Dispatcher = require('undici/lib/dispatcher/dispatcher');

Dispatcher.prototype.request = require('undici/lib/api/api-request');
exports.Client = require('undici/lib/dispatcher/client');
exports.buildConnector = require('undici/lib/core/connect');
