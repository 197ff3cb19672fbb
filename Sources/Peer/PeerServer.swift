import Content
import HTTP
import Logging
import Operations
import Posix
import Reactor
import Storage
import Transport
import Wire

/// `spate peer`: a node that keeps a cache for its owner until it is told to stop.
package final class PeerServer {
  private let configuration: PeerConfiguration
  /// How long downloads through the gateway may go on after the signal to stop.
  private static let drainTime = Duration.seconds(10)
  private let log = Logger(label: "peer")

  package init(_ configuration: PeerConfiguration) { self.configuration = configuration }

  /// Serves until SIGTERM or SIGINT.
  package func run() throws(PeerError) {
    let loop = try Node.makeLoop()
    let origin = try Node.address(of: configuration.origin, authorities: configuration.authorities)
    var settings = Node.Settings(
      listen: configuration.listen, cache: configuration.cache,
      cacheByteCountMax: configuration.cacheByteCountMax)
    settings.site = configuration.site
    settings.uploadCountMax = configuration.uploadCountMax
    settings.uploadByteRate = configuration.uploadByteRate
    settings.targetByteRate = configuration.targetByteRate
    settings.speaksTLS = configuration.speaksTLSAmongPeers
    let node = try Node(
      loop, origin: origin, settings: settings, counters: PeerCounters(), log: log)
    let endpoints = try node.listen()
    let gateway = Gateway(node)
    // Its server does not keep it.
    node.keep(gateway)
    let gatewayServer = Server(loop, handler: gateway)
    var gatewayEndpoints: [Endpoint] = []
    if let endpoint = configuration.gateway {
      gatewayEndpoints = [try Node.listen(gatewayServer, on: endpoint)]
    }
    for endpoint in endpoints + gatewayEndpoints {
      StandardStream.output.write("listening on \(endpoint)\n")
    }
    log.info(
      "serving peers of \(configuration.origin)",
      metadata: [
        "cache": "\(configuration.cache)",
        "gateway": "\(gatewayEndpoints.first?.description ?? "none")",
      ])
    resume(node, gateway)
    try stopOnSignals(loop, node, gatewayServer)
    loop.run()
    do throws(StorageError) {
      try node.close(removingStore: false)
    } catch {
      throw error.asPeerError
    }
  }

  /// Serves and announces what earlier runs left in the cache.
  private func resume(_ node: Node, _ gateway: Gateway) {
    for summary in node.store.packages() {
      do throws(WireError) {
        let manifest = try Manifest.parse(summary.metadata.span)
        gateway.remember(manifest)
        node.opening.open(manifest, isOnDemand: true) { [log] result in
          if case .failure(let error) = result {
            log.warning("a cached package cannot be served: \(error)")
          }
        }
      } catch {
        log.warning("a cached package has no readable manifest", metadata: ["id": "\(summary.id)"])
      }
    }
  }

  private func stopOnSignals(
    _ loop: EventLoop, _ node: Node, _ gatewayServer: Server
  ) throws(PeerError) {
    var isStopping = false
    let stop = { [log] in
      guard !isStopping else { return loop.stop() }
      isStopping = true
      log.info("stopping")
      var isDrained = false
      let leave = {
        guard !isDrained else { return }
        isDrained = true
        node.server?.drain {}
        node.shutDown {
          gatewayServer.close()
          loop.stop()
        }
      }
      // Local programs get what they began; other peers find it elsewhere.
      node.after(Self.drainTime, leave)
      gatewayServer.drain(leave)
    }
    do throws(SystemError) {
      for number in [SignalDescriptor.terminate, SignalDescriptor.interrupt] {
        node.keep(try Signal(loop, number) { stop() })
      }
    } catch {
      throw PeerError("cannot watch signals: \(error)")
    }
  }
}

extension Node {
  static func makeLoop() throws(PeerError) -> EventLoop {
    do throws(SystemError) {
      return try EventLoop()
    } catch {
      throw PeerError("cannot start an event loop: \(error)")
    }
  }

  /// - Parameter shared: what believes the same authorities already, and knows sessions to resume.
  static func address(
    of url: HTTPURL, authorities: String?, sharing shared: TLSClient? = nil
  ) throws(PeerError) -> OriginAddress {
    var tls = url.isSecure ? shared : nil
    if url.isSecure, tls == nil {
      do throws(TLSError) {
        tls = try TLSClient(authoritiesPath: authorities)
      } catch {
        throw PeerError("\(error)")
      }
    }
    do throws(Resolver.Failure) {
      return try OriginAddress(url, tls: tls)
    } catch {
      throw PeerError("\(error)")
    }
  }
}
