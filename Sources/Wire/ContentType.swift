/// Media types by the extension of a file's name.
package enum ContentType {
  package static let unknown = "application/octet-stream"
  package static let json = "application/json"
  package static let text = "text/plain; charset=utf-8"
  package static let html = "text/html; charset=utf-8"
  /// What Prometheus scrapes (its text exposition format, version 0.0.4).
  package static let metrics = "text/plain; version=0.0.4; charset=utf-8"
  /// The binary messages of `Docs/PROTOCOL.md`.
  package static let message = "application/vnd.spate"

  /// The type of the file called `name`, a path or its last component; text in UTF-8 says so.
  package static func of(_ name: String) -> String {
    let base = name.utf8.split(separator: UInt8(ascii: "/")).last ?? name.utf8[...]
    guard let dot = base.lastIndex(of: UInt8(ascii: ".")), dot > base.startIndex else {
      return unknown
    }
    let suffix = base[base.index(after: dot)...]
    guard (1...extensionByteCountMax).contains(suffix.count) else { return unknown }
    let folded = String(decoding: suffix.map(Grammar.lowercased), as: UTF8.self)
    return byExtension[folded] ?? unknown
  }

  private static let extensionByteCountMax = 16

  private static let byExtension: [String: String] = {
    var types: [String: String] = [:]
    for (type, extensions) in table {
      let field = isText(type) ? "\(type); charset=utf-8" : type
      for name in extensions.split(separator: " ") { types[String(name)] = field }
    }
    return types
  }()

  private static func isText(_ type: String) -> Bool {
    type.hasPrefix("text/") || type == "application/xml" || type == "application/javascript"
  }

  /// One media type and the extensions that have it.
  static let table: [(type: String, extensions: String)] = [
    ("text/plain", "txt text log conf ini md5 sha1 sha256 sha512 sum asc diff patch"),
    ("text/html", "html htm"),
    ("text/css", "css"),
    ("text/csv", "csv"),
    ("text/tab-separated-values", "tsv"),
    ("text/markdown", "md markdown"),
    ("text/javascript", "js mjs"),
    ("text/vtt", "vtt"),
    ("text/calendar", "ics"),
    ("text/x-shellscript", "sh bash"),
    ("text/x-python", "py"),
    ("text/x-c", "c h cc cpp hpp"),
    ("text/x-swift", "swift"),
    ("text/x-rust", "rs"),
    ("text/x-go", "go"),
    ("text/yaml", "yaml yml"),
    ("application/xml", "xml xsl xsd"),
    ("application/json", "json map"),
    ("application/ld+json", "jsonld"),
    ("application/jsonl", "jsonl ndjson"),
    ("application/toml", "toml"),
    ("application/manifest+json", "webmanifest"),
    ("application/atom+xml", "atom"),
    ("application/rss+xml", "rss"),
    ("application/xhtml+xml", "xhtml"),
    ("application/wasm", "wasm"),
    ("application/pdf", "pdf"),
    ("application/postscript", "ps eps ai"),
    ("application/rtf", "rtf"),
    ("application/epub+zip", "epub"),
    ("application/msword", "doc"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.ms-powerpoint", "ppt"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
    ("application/vnd.oasis.opendocument.text", "odt"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.oasis.opendocument.presentation", "odp"),
    ("application/zip", "zip"),
    ("application/gzip", "gz tgz"),
    ("application/x-bzip2", "bz2 tbz2"),
    ("application/x-xz", "xz txz"),
    ("application/zstd", "zst tzst"),
    ("application/x-lz4", "lz4"),
    ("application/x-lzip", "lz"),
    ("application/x-tar", "tar"),
    ("application/x-7z-compressed", "7z"),
    ("application/vnd.rar", "rar"),
    ("application/x-cpio", "cpio"),
    ("application/vnd.debian.binary-package", "deb udeb"),
    ("application/x-rpm", "rpm"),
    ("application/vnd.android.package-archive", "apk"),
    ("application/java-archive", "jar war"),
    ("application/x-apple-diskimage", "dmg"),
    ("application/x-iso9660-image", "iso"),
    ("application/x-raw-disk-image", "img raw"),
    ("application/x-qemu-disk", "qcow2"),
    ("application/x-virtualbox-vmdk", "vmdk"),
    ("application/x-msdownload", "exe dll"),
    ("application/x-msi", "msi"),
    ("application/x-sharedlib", "so"),
    ("application/x-bittorrent", "torrent"),
    ("application/metalink4+xml", "meta4"),
    ("application/metalink+xml", "metalink"),
    ("application/pgp-signature", "sig"),
    ("application/pgp-keys", "gpg"),
    ("application/x-pem-file", "pem"),
    ("application/pkix-cert", "crt cer"),
    ("application/sql", "sql"),
    ("application/vnd.sqlite3", "sqlite sqlite3"),
    ("application/vnd.apache.parquet", "parquet"),
    ("application/x-hdf5", "h5 hdf5"),
    ("application/vnd.apple.mpegurl", "m3u8"),
    ("application/dash+xml", "mpd"),
    ("audio/mpeg", "mp3"),
    ("audio/mp4", "m4a"),
    ("audio/aac", "aac"),
    ("audio/flac", "flac"),
    ("audio/ogg", "ogg oga opus"),
    ("audio/wav", "wav"),
    ("audio/midi", "mid midi"),
    ("video/mp4", "mp4 m4v"),
    ("video/mpeg", "mpg mpeg"),
    ("video/webm", "webm"),
    ("video/ogg", "ogv"),
    ("video/quicktime", "mov"),
    ("video/x-matroska", "mkv"),
    ("video/x-msvideo", "avi"),
    ("video/mp2t", "ts m2ts"),
    ("image/png", "png"),
    ("image/jpeg", "jpg jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/avif", "avif"),
    ("image/heic", "heic"),
    ("image/svg+xml", "svg"),
    ("image/bmp", "bmp"),
    ("image/tiff", "tif tiff"),
    ("image/vnd.microsoft.icon", "ico"),
    ("font/woff", "woff"),
    ("font/woff2", "woff2"),
    ("font/ttf", "ttf"),
    ("font/otf", "otf"),
  ]
}
