#!/usr/bin/env node
// Stores events from Kafka in SQLite: committed events only, each once, and of each record the newest revision.
//
//   npm ci                 with Node 24; nothing is compiled
//   node consumer.js --kafka localhost:9092 --database events.db seemetrix.sessions seemetrix.attention
//
// The table `events` contains a row for each event, and for each record its newest revision. The view `parts` contains
// the parts of these revisions, such as attention intervals; list the topic of the sessions together with those of
// their parts. Tables and rules are those of python_aiokafka.py.
//
// Several instances share the topics if they use the same group and the same database. Ctrl-C stops it.

import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { KafkaClient } from 'kafka-crab-js'

const TABLES = `
CREATE TABLE IF NOT EXISTS events (
    identity TEXT, type TEXT, version INTEGER, event_id TEXT, value TEXT, PRIMARY KEY (identity, type));
CREATE TABLE IF NOT EXISTS all_parts (
    event_id TEXT PRIMARY KEY, type TEXT, record_id TEXT, revision INTEGER, session_event_id TEXT, value TEXT);
CREATE INDEX IF NOT EXISTS parts_of_record ON all_parts (record_id);
CREATE VIEW IF NOT EXISTS parts AS
    SELECT part.* FROM all_parts AS part
    JOIN events AS session ON session.identity = part.record_id AND session.event_id = part.session_event_id`

const STORE_EVENT = `
INSERT INTO events VALUES (?, ?, ?, ?, ?)
ON CONFLICT (identity, type) DO UPDATE
    SET version = excluded.version, event_id = excluded.event_id, value = excluded.value
    WHERE excluded.version > events.version`
const DELETE_OLDER_PARTS = 'DELETE FROM all_parts WHERE record_id = ? AND revision < ?'

// Parts may be read before their session: they are stored, and appear in the view when the session is stored too.
const STORE_PART = `
INSERT OR IGNORE INTO all_parts
    SELECT :event_id, :type, :record_id, :revision, :session_event_id, :json
    WHERE NOT EXISTS (SELECT * FROM events WHERE identity = :record_id AND version > :revision)`

const { values: options, positionals: topics } = parseArgs({
  allowPositionals: true,
  options: {
    kafka: { type: 'string', default: 'localhost:9092' },
    group: { type: 'string', default: 'events-to-sqlite' },
    database: { type: 'string', default: 'events.db' }
  }
})

const database = new DatabaseSync(options.database, { timeout: 60_000 }) // instances wait for each other
database.exec(TABLES)
const storeEvent = database.prepare(STORE_EVENT)
const deleteOlderParts = database.prepare(DELETE_OLDER_PARTS)
const storePart = database.prepare(STORE_PART)

/** Store one message, unless the database contains it or a newer revision of its record. */
function store (message) {
  const json = message.payload.toString()
  const value = JSON.parse(json)
  const { type, event_id, record_id, revision, session_event_id } = value
  if (session_event_id !== undefined) {
    storePart.run({ event_id, type, record_id, revision, session_event_id, json })
  } else if (revision !== undefined) {
    storeEvent.run(record_id, type, revision, event_id, json)
    deleteOlderParts.run(record_id, revision)
  } else if (type === 'collector.progress.v1') { // only the last message of a stream counts
    storeEvent.run(`${value.source}/${value.stream}`, type, message.offset, event_id, json)
  } else {
    storeEvent.run(event_id, type, 0, event_id, json)
  }
}

/** Store messages in one transaction. */
function storeAll (messages) {
  database.exec('BEGIN IMMEDIATE')
  try {
    messages.forEach(store)
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}

const consumer = new KafkaClient({ brokers: options.kafka, clientId: 'events-to-sqlite' }).createConsumer({
  groupId: options.group,
  enableAutoCommit: false, // offsets are committed only after the events are stored
  configuration: {
    'isolation.level': 'read_committed',
    'auto.offset.reset': 'earliest' // a new group starts with the oldest message
  }
})

let isStopping = false
process.once('SIGINT', () => { isStopping = true })
process.once('SIGTERM', () => { isStopping = true })

await consumer.subscribe(topics.map(topic => ({ topic })))
while (!isStopping) {
  const messages = await consumer.recvBatch(1000, 500)
  if (messages.length === 0) continue
  storeAll(messages)
  const last = new Map(messages.map(message => [`${message.topic}/${message.partition}`, message]))
  try {
    for (const message of last.values()) await consumer.commitMessage(message, 'Sync')
  } catch (error) {
    // If the partitions have moved to another member, it reads these messages again and stores the same rows.
    console.error(`offsets not committed: ${error.message}`)
  }
  console.log(`${messages.length} events`)
}
await consumer.disconnect()
database.close()
