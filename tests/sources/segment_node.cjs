// Makes every kind of call with Segment's own SDK: node segment_node.cjs HOST WRITE_KEY NAME
const { Analytics } = require('@segment/analytics-node')

const [host, writeKey, name] = process.argv.slice(2)
const analytics = new Analytics({ host, writeKey, flushInterval: 100 })
const who = { userId: `${name}_user`, anonymousId: `${name}_anonymous` }
let failed = null
analytics.on('error', (error) => { failed = error })

analytics.identify({ ...who, messageId: `${name}_identify`, traits: { email: 'Jane@Example.com', plan: 'pro' } })
analytics.track({
  ...who,
  messageId: `${name}_track`,
  event: 'Order Completed',
  properties: {
    order_id: '100045',
    revenue: 149.9,
    currency: 'EUR',
    products: [{ product_id: 'sku_1', name: 'Mug', price: 74.95, quantity: 2 }],
  },
  context: {
    ip: '203.0.113.9',
    userAgent: 'Mozilla/5.0',
    page: { url: 'https://shop.example/?utm_source=news', path: '/' },
    campaign: { source: 'news', name: 'spring' },
  },
})
analytics.page({ ...who, messageId: `${name}_page`, name: 'Home', properties: { url: 'https://shop.example/' } })
analytics.screen({ ...who, messageId: `${name}_screen`, name: 'Start' })
analytics.group({ ...who, messageId: `${name}_group`, groupId: 'g1', traits: { employees: 12 } })
analytics.alias({ userId: who.userId, previousId: who.anonymousId, messageId: `${name}_alias` })
analytics.track({ ...who, messageId: `${name}_bad`, event: 'x', timestamp: '0000-99-99' })

analytics.closeAndFlush({ timeout: 10000 }).then(() => {
  if (failed !== null) {
    console.error(failed)
    process.exit(1)
  }
})
