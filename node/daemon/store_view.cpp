#include "node/daemon/store_view.hpp"

#include <iterator>

namespace glocal::node {

store_view::store_view(caf::actor_config& config, caf::actor store_client)
    : runtime::observed_actor{config, "store view", "api/store"}, store_{*this, std::move(store_client)} {}

caf::behavior store_view::make_behavior() {
  return caf::message_handler{
      [this](const scan_table& wanted) {
        auto promise = make_response_promise<reply_promise>();
        next_page(wanted.table, {}, {}, promise);
        return promise;
      },
  }
      .or_else(store_.handler());
}

void store_view::next_page(store::table table, std::string continuation, scanned_table so_far, reply_promise promise) {
  store_.scan(
      table, "", store::limits::scan_page_entries, std::move(continuation),
      [this, table, so_far = std::move(so_far), promise](expected<store::scan_page, store::store_error> page) mutable {
        if (!page) {
          promise.deliver(caf::make_error(caf::sec::runtime_error, "store: " + std::string{store::name(page.error())}));
          return;
        }
        so_far.entries.insert(so_far.entries.end(), std::make_move_iterator(page->entries.begin()),
                              std::make_move_iterator(page->entries.end()));
        so_far.cut = !page->continuation.empty() && so_far.entries.size() >= max_entries;
        if (page->continuation.empty() || so_far.cut) {
          promise.deliver(std::move(so_far));
          return;
        }
        next_page(table, std::move(page->continuation), std::move(so_far), promise);
      });
}

} // namespace glocal::node
