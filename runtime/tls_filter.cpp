#include "runtime/tls_filter.hpp"

#include "runtime/envelope_codec.hpp"
#include "runtime/frame.hpp"
#include "runtime/tls_session.hpp"

#include <utility>
#include <vector>

namespace glocal::runtime {
namespace {

class tls_filter : public stream_filter {
public:
  tls_filter(std::shared_ptr<const tls_context> context, bool dialled, const std::string& self)
      : session_{std::move(context), dialled ? tls_session::side::client : tls_session::side::server, pending_},
        dialled_{dialled}, self_{self} {}

  [[nodiscard]] expected<byte_view, std::string> open(byte_view wire) override {
    // Plaintext is shorter than the records it comes in; a record's begin may have come before. Never shrunk: clearing
    // it for each chunk would cost as much as a tenth of the decryption.
    if (scratch_.size() < wire.size() + record_bytes)
      scratch_.resize(wire.size() + record_bytes);
    const auto opened = session_.receive(wire, scratch_, pending_);
    if (!opened) {
      if (opened.error().what == tls_error::kind::no_tls && !dialled_)
        refuse_without_tls();
      return unexpected{opened.error().text};
    }
    return *opened;
  }

  [[nodiscard]] expected<void, std::string> seal(byte_view plain, bytes& wire) override {
    session_.send(plain, wire);
    return {};
  }

  void say(bytes& wire) override {
    wire.insert(wire.end(), pending_.begin(), pending_.end());
    pending_.clear();
  }

  [[nodiscard]] bool ready() const override { return session_.established(); }

  [[nodiscard]] std::string objection(const std::string& node) const override {
    if (session_.certifies(node))
      return {};
    return "the certificate it shows is that of " + session_.peer_names() + ", not of " + node +
           "; copy the files 'glocal certs issue' made for " + node + " there";
  }

  [[nodiscard]] std::string description() const override { return session_.description(); }

private:
  /// With its header and what the cipher adds.
  static constexpr std::size_t record_bytes = (std::size_t{16} << 10) + 512;

  void refuse_without_tls() {
    std::vector<char> frame;
    append_frame(frame, {.kind = control_kinds::hello_refused, .type = frame_type::control},
                 encode_refusal(self_ + " speaks TLS only; set 'security: {tls: ...}' to the same in the cluster files "
                                        "of both"));
    const auto view = std::as_bytes(std::span{frame});
    pending_.assign(view.begin(), view.end());
  }

  /// What has to be sent, until it is said.
  bytes pending_;
  /// Plaintext of the last call: about 145 KiB once a full read came.
  bytes scratch_;
  tls_session session_;
  const bool dialled_;
  const std::string self_;
};

} // namespace

stream_filter_factory tls_filters(std::shared_ptr<const tls_context> context, const std::string& self) {
  return [context = std::move(context), self](bool dialled, const std::string&) {
    return std::make_unique<tls_filter>(context, dialled, self);
  };
}

} // namespace glocal::runtime
