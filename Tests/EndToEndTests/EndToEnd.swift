import Testing

/// Tests of the built program as a user runs it. One at a time: each starts many processes, and on a
/// small machine they would only take turns.
@Suite(.serialized) struct EndToEnd {}
