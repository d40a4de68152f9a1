-- Takes back a claim that stands, if it does, see standing.lua.
--
-- KEYS[1] standing   ARGV[1] prefix of task keys   ARGV[2] claimant
-- Returns the nonce under which it would have got something, or ''.

return withdraw(ARGV[1], ARGV[2])
