-- The time of all scripts in tests: milliseconds in a key that the test steps.
local function clock()
  return tonumber(redis.call('GET', '@CLOCK_KEY@') or '0')
end
