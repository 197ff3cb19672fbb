import Content
import Foundation
import Posix
import Reactor
import Testing

@testable import Transport

/// Who is not believed, what is not spoken, and what the refusal says.
@Suite struct TLSRefusalTests {
  let directory: TemporaryDirectory
  let local: TestIdentity
  let loop: EventLoop

  init() throws {
    try Posix.Process.prepare()
    directory = try TemporaryDirectory()
    local = try TestIdentity(directory, "127.0.0.1")
    loop = try EventLoop()
  }

  private func client(trusting identity: TestIdentity? = nil) throws -> TLSClient {
    try TLSClient(authoritiesPath: (identity ?? local).identity.certificatePath)
  }

  /// What a client says that connects to a server with the identity.
  private func reason(
    _ identity: TLSServer.Identity, _ client: TLSClient, name: String? = nil
  ) throws -> String {
    let server = try TestServer(loop, tls: TLSServer([identity]))
    let recorder = Recorder(
      .connect(loop, to: server.endpoint, tls: client, serverName: name))
    recorder.stream.send([1])
    loop.run { recorder.isClosed && server.taken.first?.isClosed == true }
    #expect(recorder.connectCount == 0)
    #expect(server.taken[0].received.isEmpty)
    return recorder.closes[0].description
  }

  @Test func theReasonSaysWhatIsWrong() throws {
    let other = try TestIdentity(directory, "other.example")
    let unknown = try reason(local.identity, client(trusting: other))
    #expect(unknown.hasSuffix("certificate verify failed (self-signed certificate)"))
    let misnamed = try reason(local.identity, client(), name: "other.example")
    #expect(misnamed.hasSuffix("certificate verify failed (hostname mismatch)"))
    // A name of the right spelling is no address.
    let elsewhere = try TestIdentity(directory, "127.0.0.2")
    let moved = try reason(elsewhere.identity, client(trusting: elsewhere))
    #expect(moved.hasSuffix("certificate verify failed (IP address mismatch)"))
    let system = try reason(local.identity, TLSClient())
    #expect(system.hasSuffix("certificate verify failed (self-signed certificate)"))
  }

  @Test func anExpiredCertificateIsCalledThat() throws {
    let base = directory.path + "/"
    let configuration = """
      [ca]
      default_ca=d
      [d]
      database=\(base)index
      rand_serial=yes
      new_certs_dir=\(directory.path)
      default_md=sha256
      policy=p
      [p]
      commonName=supplied
      [e]
      subjectAltName=IP:127.0.0.1
      """
    try Data(configuration.utf8).write(to: URL(fileURLWithPath: base + "configuration"))
    try Data().write(to: URL(fileURLWithPath: base + "index"))
    let old = TLSServer.Identity(certificatePath: base + "old.pem", keyPath: base + "old.key")
    for arguments in [
      [
        "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", "/CN=old", "-keyout", old.keyPath, "-out", base + "request",
      ],
      [
        "ca", "-config", base + "configuration", "-batch", "-notext", "-selfsign", "-keyfile",
        old.keyPath, "-in", base + "request", "-out", old.certificatePath, "-startdate",
        "20000101000000Z", "-enddate", "20000102000000Z", "-extensions", "e",
      ],
    ] {
      let made = try Command.run(["openssl"] + arguments)
      try #require(made.status == 0, "\(made.output)")
    }
    let trusting = try TLSClient(authoritiesPath: old.certificatePath)
    #expect(
      try reason(old, trusting).hasSuffix("certificate verify failed (certificate has expired)"))
  }

  @Test(arguments: ["127.0.0.1", "::1"]) func anAddressIsLookedForAmongTheAddresses(
    _ address: String
  ) throws {
    let identity = try TestIdentity(directory, address)
    let server = try TestServer(
      loop, on: try #require(IPAddress(address)), tls: TLSServer([identity.identity]))
    let recorder = Recorder(
      .connect(loop, to: server.endpoint, tls: try client(trusting: identity)))
    recorder.onConnect = { $0.stream.close() }
    loop.run { recorder.isClosed }
    #expect(recorder.connectCount == 1, "\(recorder.closes)")
  }

  @Test func noRenegotiationAndNoCompression() throws {
    let server = try TestServer(loop, tls: TLSServer([local.identity]), TestServer.echo)
    let output = try Command.run(
      ["openssl", "s_client", "-connect", server.endpoint.description, "-tls1_2"], input: "R\n",
      turning: loop)
    #expect(output.contains("Compression: NONE"))
    #expect(output.contains("RENEGOTIATING"))
    #expect(output.contains("no renegotiation"))
    loop.run { server.taken.allSatisfy(\.isClosed) }
  }

  @Test(arguments: [["-tls1_1"], ["-alpn", "h2"], ["-tls1_2", "-cipher", "AES128-SHA"]])
  func oldOrForeignIsRefused(_ arguments: [String]) throws {
    let server = try TestServer(loop, tls: TLSServer([local.identity]))
    let output = try Command.run(
      ["openssl", "s_client", "-connect", server.endpoint.description] + arguments,
      turning: loop)
    #expect(output.contains("error") || output.contains("alert"))
    #expect(server.taken.allSatisfy { $0.received.isEmpty })
  }
}
