"""The parts the integration tests are made of: real brokers, the agent's process, a publisher and a reader."""
