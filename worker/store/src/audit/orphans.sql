/* audit_orphans */
SELECT 'movement ' || m.id AS "subject!", 'operation ' || m.operation_id AS "parent!"
FROM movements m WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = m.operation_id)
UNION ALL
SELECT 'posting ' || p.movement_id || '/' || p.line, 'movement ' || p.movement_id
FROM postings p WHERE NOT EXISTS (SELECT 1 FROM movements m WHERE m.id = p.movement_id)
UNION ALL
SELECT 'intent ' || i.operation_id || '/' || i.number, 'operation ' || i.operation_id
FROM intents i WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = i.operation_id)
UNION ALL
SELECT 'inbox ' || i.id, 'operation ' || i.operation_id
FROM inbox i WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = i.operation_id)
UNION ALL
SELECT 'reservation ' || r.operation_id, 'operation ' || r.operation_id
FROM reservations r WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = r.operation_id)
UNION ALL
SELECT 'history ' || h.operation_id || '/' || h.version || '/' || h.step, 'operation ' || h.operation_id
FROM operation_history h WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = h.operation_id)
UNION ALL
SELECT 'attempt ' || a.operation_id || '/' || a.intent || ' at ' || a.at,
       'intent ' || a.operation_id || '/' || a.intent
FROM intent_attempts a
WHERE NOT EXISTS (SELECT 1 FROM intents i WHERE i.operation_id = a.operation_id AND i.number = a.intent)
UNION ALL
SELECT 'transition ' || t.operation_id || '/' || t.sequence, 'operation ' || t.operation_id
FROM transitions t WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = t.operation_id)
UNION ALL
SELECT 'part ' || p.distribution_id || '/' || p.holder, 'operation ' || p.distribution_id
FROM distribution_parts p WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = p.distribution_id)
UNION ALL
SELECT 'deposit ' || d.network || '/' || d.transaction, 'operation ' || d.operation_id
FROM deposits d WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = d.operation_id)
