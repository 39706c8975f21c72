import SwiftUI

@main
struct TabletopARApp: App {
    var body: some Scene {
        WindowGroup {
            ContentView()
        }
    }
}
